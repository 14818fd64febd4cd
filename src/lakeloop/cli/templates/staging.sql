{{ staged_texts(source('$name', 'raw'), key='id', text='text', label='label', event_time='created_at') }}
